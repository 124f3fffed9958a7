"""The command line, one file per noun. Every verb is a function with `@app.command()` that imports what it needs when it runs."""
