"""The notebook's widgets: a run watched and steered by hand."""
