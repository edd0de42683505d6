"""AI-driven Workflow Manager (paper §III-D): watches a run, tries changes in the simulator, makes them."""
