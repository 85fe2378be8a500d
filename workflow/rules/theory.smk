# Experiments that are computed by exact theory, with a few runs beside it, and the figures they make. Expects from the
# Snakefile: THEORY_SETTINGS, and what products.smk defines.


rule exact_floors:
    output:
        **theory_outputs("stationary_error"),
    log:
        f"{RESULTS}/logs/exact_floors.log",
    conda:
        "../../environment.yml"
    params:
        settings=THEORY_SETTINGS["stationary_error"],
        code=theory_code("exact_floors", THEORY_SETTINGS["stationary_error"]["methods"]),
    message:
        "Computing where constant steps settle and which are stable"
    script:
        "../scripts/exact_floors.py"


rule exact_times:
    output:
        **theory_outputs("time_to_target"),
    log:
        f"{RESULTS}/logs/exact_times.log",
    conda:
        "../../environment.yml"
    params:
        settings=THEORY_SETTINGS["time_to_target"],
        code=theory_code("exact_times", THEORY_SETTINGS["time_to_target"]["simulated"]["methods"]),
    message:
        "Computing times to ever smaller targets"
    script:
        "../scripts/exact_times.py"


rule exact_ratios:
    output:
        **theory_outputs("lower_order"),
    log:
        f"{RESULTS}/logs/exact_ratios.log",
    conda:
        "../../environment.yml"
    params:
        settings=THEORY_SETTINGS["lower_order"],
        code=theory_code("exact_ratios", THEORY_SETTINGS["lower_order"]["floor"]["methods"]),
    message:
        "Computing what heterogeneity, staleness and the slowest worker cost as targets shrink"
    script:
        "../scripts/exact_ratios.py"


rule chain_times:
    output:
        **theory_outputs("worst_case"),
    log:
        f"{RESULTS}/logs/chain_times.log",
    conda:
        "../../environment.yml"
    params:
        settings=THEORY_SETTINGS["worst_case"],
        code=theory_code("chain_times", THEORY_SETTINGS["worst_case"]["methods"]),
    message:
        "Measuring times on the hard instance of the lower bound"
    script:
        "../scripts/chain_times.py"


rule curvature_times:
    output:
        **theory_outputs("small_smoothness"),
    log:
        f"{RESULTS}/logs/curvature_times.log",
    conda:
        "../../environment.yml"
    params:
        settings=THEORY_SETTINGS["small_smoothness"],
        code=theory_code("curvature_times", THEORY_SETTINGS["small_smoothness"]["simulated"]["methods"]),
    message:
        "Computing and measuring times where curvatures cancel in the mean"
    script:
        "../scripts/curvature_times.py"


rule figure_2_stationary_error:
    input:
        **theory_outputs("stationary_error"),
    output:
        **figure_outputs("figure_2_stationary_error"),
    log:
        f"{RESULTS}/logs/figure_2_stationary_error.log",
    conda:
        "../../environment.yml"
    params:
        caption=caption_of("figure_2_stationary_error", THEORY_SETTINGS, config["scale"]),
        code=figure_code("figure_2_stationary_error"),
    message:
        "Drawing floors against step sizes"
    script:
        "../scripts/figure_2_stationary_error.py"


rule figure_4_time_to_target:
    input:
        times=theory_outputs("time_to_target")["times"],
        ratios=theory_outputs("lower_order")["ratios"],
        floors=theory_outputs("lower_order")["floors"],
    output:
        **figure_outputs("figure_4_time_to_target"),
    log:
        f"{RESULTS}/logs/figure_4_time_to_target.log",
    conda:
        "../../environment.yml"
    params:
        profiles=profile_labels("time_to_target"),
        caption=caption_of("figure_4_time_to_target", THEORY_SETTINGS, config["scale"]),
        code=figure_code("figure_4_time_to_target"),
    message:
        "Drawing times to target over their leading term, and what is of lower order"
    script:
        "../scripts/figure_4_time_to_target.py"


rule figure_13_hard_instances:
    input:
        chains=theory_outputs("worst_case")["times"],
        curvatures=theory_outputs("small_smoothness")["times"],
    output:
        **figure_outputs("figure_13_hard_instances"),
    log:
        f"{RESULTS}/logs/figure_13_hard_instances.log",
    conda:
        "../../environment.yml"
    params:
        profiles=profile_labels("worst_case"),
        caption=caption_of("figure_13_hard_instances", THEORY_SETTINGS, config["scale"]),
        code=figure_code("figure_13_hard_instances"),
    message:
        "Drawing times on the hard instance and where curvatures cancel"
    script:
        "../scripts/figure_13_hard_instances.py"


rule table_4_exact_times:
    input:
        times=theory_outputs("time_to_target")["times"],
    output:
        **table_outputs("table_4_exact_times"),
    log:
        f"{RESULTS}/logs/table_4_exact_times.log",
    conda:
        "../../environment.yml"
    params:
        profiles=profile_labels("time_to_target"),
        caption=caption_of("table_4_exact_times", THEORY_SETTINGS, config["scale"]),
        code=figure_code("table_4_exact_times"),
    message:
        "Writing exact times at the best steps and at theory's"
    script:
        "../scripts/table_4_exact_times.py"


for experiment in THEORY_SETTINGS:

    rule:
        name:
            experiment
        input:
            theory_outputs(experiment).values(),
            [
                path
                for product, sources in THEORY_PRODUCTS.items()
                if experiment in sources
                for path in product_files(product)
            ],
        message:
            f"Everything of the experiment {experiment} is there"
