"""How figures and tables look, what their captions say, and how they are written: shared by the workflow's scripts."""
