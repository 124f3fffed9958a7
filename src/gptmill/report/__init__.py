"""`inputs` reads the stages' outputs, `page` renders the report as one HTML file, `cards` the data cards."""
