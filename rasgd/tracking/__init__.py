"""A mirror of finished results in MLflow: files are the truth, MLflow is a window on them.

`python -m rasgd.tracking ui` opens the window. `import_experiment` fills it; importing again what is there already does
nothing, and a deleted database is filled again from the files.
"""

from rasgd.tracking.mirror import discard_lost_receipt, import_experiment, store_name, tracking_uri

__all__ = ["discard_lost_receipt", "import_experiment", "store_name", "tracking_uri"]
