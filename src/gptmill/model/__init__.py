"""GPT-2's architecture, written out; how it decodes; and where its weights come from."""
