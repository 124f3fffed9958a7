"""The command line, one file per noun. A verb is a function with `@app.command()`, with imports inside."""
