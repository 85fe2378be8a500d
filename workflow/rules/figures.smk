# Figures and tables, each from the finished training of the experiments it shows.


rule figure_1_toy:
    input:
        curves=experiment_tables("toy", "curves"),
    output:
        **figure_outputs("figure_1_toy"),
    log:
        f"{RESULTS}/logs/figure_1_toy.log",
    conda:
        "../../environment.yml"
    params:
        caption=product_caption("figure_1_toy"),
        code=figure_code("figure_1_toy"),
    message:
        "Drawing the toy example beside the poster's points"
    script:
        "../scripts/figure_1_toy.py"


rule figure_3_quadratic:
    input:
        curves=experiment_tables("quadratic", "curves"),
    output:
        **figure_outputs("figure_3_quadratic"),
    log:
        f"{RESULTS}/logs/figure_3_quadratic.log",
    conda:
        "../../environment.yml"
    params:
        quadratics=case_records("quadratic", "problem", "targets"),
        caption=product_caption("figure_3_quadratic"),
        code=figure_code("figure_3_quadratic"),
    message:
        "Drawing how the gradient shrinks on quadratics"
    script:
        "../scripts/figure_3_quadratic.py"


rule figure_5_mnist:
    input:
        curves=experiment_tables("mnist", "curves"),
    output:
        **figure_outputs("figure_5_mnist"),
    log:
        f"{RESULTS}/logs/figure_5_mnist.log",
    conda:
        "../../environment.yml"
    params:
        cases=case_labels("mnist"),
        caption=product_caption("figure_5_mnist"),
        code=figure_code("figure_5_mnist"),
    message:
        "Drawing the training loss on MNIST"
    script:
        "../scripts/figure_5_mnist.py"


rule figure_6_slow_owners:
    input:
        curves=experiment_tables("fashion_mnist", "curves"),
        partition=f"{RESULTS}/partitions/fashion_mnist.npz",
    output:
        **figure_outputs("figure_6_slow_owners"),
    log:
        f"{RESULTS}/logs/figure_6_slow_owners.log",
    conda:
        "../../environment.yml"
    params:
        compute_times=mean_times("fashion_mnist")["slow_owners"],
        caption=product_caption("figure_6_slow_owners"),
        code=figure_code("figure_6_slow_owners"),
    message:
        "Drawing the accuracy on what slow workers own"
    script:
        "../scripts/figure_6_slow_owners.py"


rule figure_7_step_sizes:
    input:
        quadratic=experiment_tables("quadratic", "grid"),
        mnist=experiment_tables("mnist", "grid"),
    output:
        **figure_outputs("figure_7_step_sizes"),
    log:
        f"{RESULTS}/logs/figure_7_step_sizes.log",
    conda:
        "../../environment.yml"
    params:
        cases={name: case_labels(name) for name in PRODUCTS["figure_7_step_sizes"]},
        grids={name: SETTINGS[name]["step_sizes"]["grid"] for name in PRODUCTS["figure_7_step_sizes"]},
        caption=product_caption("figure_7_step_sizes"),
        code=figure_code("figure_7_step_sizes"),
    message:
        "Drawing how sensitive every method is to its step size"
    script:
        "../scripts/figure_7_step_sizes.py"


rule figure_8_real_processes:
    input:
        **{table: experiment_tables("real_processes", table)[0] for table in experiments.RECORDED_TABLES},
        curves=experiment_tables("real_processes", "curves"),
    output:
        **figure_outputs("figure_8_real_processes"),
    log:
        f"{RESULTS}/logs/figure_8_real_processes.log",
    conda:
        "../../environment.yml"
    params:
        cases=case_labels("real_processes"),
        problems=case_values("real_processes", "problem"),
        recorded=SETTINGS["real_processes"]["recorded"],
        compute_times=mean_times("real_processes"),
        caption=product_caption("figure_8_real_processes"),
        code=figure_code("figure_8_real_processes"),
    message:
        "Drawing runs on real processes over the virtual clock's"
    script:
        "../scripts/figure_8_real_processes.py"


rule figure_11_nonconvex:
    input:
        curves=experiment_tables("nonconvex", "curves"),
    output:
        **figure_outputs("figure_11_nonconvex"),
    log:
        f"{RESULTS}/logs/figure_11_nonconvex.log",
    conda:
        "../../environment.yml"
    params:
        cases=case_labels("nonconvex"),
        caption=product_caption("figure_11_nonconvex"),
        code=figure_code("figure_11_nonconvex"),
    message:
        "Drawing which gradient every method brings to zero"
    script:
        "../scripts/figure_11_nonconvex.py"


rule figure_12_bias_network:
    input:
        curves=experiment_tables("bias_network", "curves"),
        tuned_curves=experiment_tables("bias_network_tuned", "curves"),
        tuned_grids=experiment_tables("bias_network_tuned", "grid"),
    output:
        **figure_outputs("figure_12_bias_network"),
    log:
        f"{RESULTS}/logs/figure_12_bias_network.log",
    conda:
        "../../environment.yml"
    params:
        cases=case_labels("bias_network"),
        compute_times=mean_times("bias_network"),
        problems=case_values("bias_network", "problem"),
        log2_beta=SETTINGS["bias_network"]["step_sizes"]["log2_beta"],
        caption=product_caption("figure_12_bias_network"),
        code=figure_code("figure_12_bias_network"),
    message:
        "Drawing whether the bias lasts on a network"
    script:
        "../scripts/figure_12_bias_network.py"


rule table_1_methods:
    input:
        runs=experiment_tables("quadratic", "runs"),
    output:
        **table_outputs("table_1_methods"),
    log:
        f"{RESULTS}/logs/table_1_methods.log",
    conda:
        "../../environment.yml"
    params:
        case="noise_dominated",
        target=min(case_values("quadratic", "targets")["noise_dominated"]),
        compute_times=mean_times("quadratic")["noise_dominated"],
        until=case_values("quadratic", "until")["noise_dominated"],
        caption=product_caption("table_1_methods"),
        code=figure_code("table_1_methods"),
    message:
        "Writing what every method costs, theory beside measurement"
    script:
        "../scripts/table_1_methods.py"


rule table_2_time_to_target:
    input:
        curves=experiment_tables("quadratic", "curves"),
    output:
        **table_outputs("table_2_time_to_target"),
    log:
        f"{RESULTS}/logs/table_2_time_to_target.log",
    conda:
        "../../environment.yml"
    params:
        quadratics=case_records("quadratic", "problem", "until"),
        caption=product_caption("table_2_time_to_target"),
        code=figure_code("table_2_time_to_target"),
    message:
        "Writing how long every method takes to every target"
    script:
        "../scripts/table_2_time_to_target.py"


rule table_5_real_processes:
    input:
        runs=experiment_tables("real_processes", "runs"),
    output:
        **table_outputs("table_5_real_processes"),
    log:
        f"{RESULTS}/logs/table_5_real_processes.log",
    conda:
        "../../environment.yml"
    params:
        cases=case_labels("real_processes"),
        until=case_values("real_processes", "until"),
        caption=product_caption("table_5_real_processes"),
        code=figure_code("table_5_real_processes"),
    message:
        "Writing what real processes did beside what the virtual clock predicts"
    script:
        "../scripts/table_5_real_processes.py"
