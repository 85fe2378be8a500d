# Figures and tables, each from the finished training of the experiments it shows.


rule figure_1_toy:
    input:
        curves=training_outputs("toy", "curves"),
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
        curves=training_outputs("quadratic", "curves"),
    output:
        **figure_outputs("figure_3_quadratic"),
    log:
        f"{RESULTS}/logs/figure_3_quadratic.log",
    conda:
        "../../environment.yml"
    params:
        cases=case_labels("quadratic"),
        targets=case_values("quadratic", "targets"),
        caption=product_caption("figure_3_quadratic"),
        code=figure_code("figure_3_quadratic"),
    message:
        "Drawing how the gradient shrinks on quadratics"
    script:
        "../scripts/figure_3_quadratic.py"
