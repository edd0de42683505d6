"""Pictures as data: pyvis network, layout, timeline, static HTML. Pure: text in, text out."""
