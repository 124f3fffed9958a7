"""The report: `inputs` reads the stages' outputs, `page` renders one self-contained HTML file; `cards` the data cards."""
