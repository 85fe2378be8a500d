# Figures and tables of exact experiments.


rule figure_2_stationary_error:
    input:
        **exact_outputs("stationary_error"),
    output:
        **figure_outputs("figure_2_stationary_error"),
    log:
        f"{RESULTS}/logs/figure_2_stationary_error.log",
    conda:
        "../../environment.yml"
    params:
        caption=product_caption("figure_2_stationary_error"),
        code=figure_code("figure_2_stationary_error"),
    message:
        "Drawing floors against step sizes"
    script:
        "../scripts/figure_2_stationary_error.py"


rule figure_4_time_to_target:
    input:
        times=exact_outputs("time_to_target")["times"],
        ratios=exact_outputs("lower_order")["ratios"],
        floors=exact_outputs("lower_order")["floors"],
    output:
        **figure_outputs("figure_4_time_to_target"),
    log:
        f"{RESULTS}/logs/figure_4_time_to_target.log",
    conda:
        "../../environment.yml"
    params:
        profiles=profile_labels("time_to_target"),
        caption=product_caption("figure_4_time_to_target"),
        code=figure_code("figure_4_time_to_target"),
    message:
        "Drawing times to target over their leading term, and what is of lower order"
    script:
        "../scripts/figure_4_time_to_target.py"


rule figure_13_hard_instances:
    input:
        chains=exact_outputs("worst_case")["times"],
        curvatures=exact_outputs("small_smoothness")["times"],
    output:
        **figure_outputs("figure_13_hard_instances"),
    log:
        f"{RESULTS}/logs/figure_13_hard_instances.log",
    conda:
        "../../environment.yml"
    params:
        profiles=profile_labels("worst_case"),
        caption=product_caption("figure_13_hard_instances"),
        code=figure_code("figure_13_hard_instances"),
    message:
        "Drawing times on the hard instance and where curvatures cancel"
    script:
        "../scripts/figure_13_hard_instances.py"


rule table_4_exact_times:
    input:
        times=exact_outputs("time_to_target")["times"],
    output:
        **table_outputs("table_4_exact_times"),
    log:
        f"{RESULTS}/logs/table_4_exact_times.log",
    conda:
        "../../environment.yml"
    params:
        profiles=profile_labels("time_to_target"),
        caption=product_caption("table_4_exact_times"),
        code=figure_code("table_4_exact_times"),
    message:
        "Writing exact times at the best steps and at theory's"
    script:
        "../scripts/table_4_exact_times.py"
