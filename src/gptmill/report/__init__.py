"""The page that a team shows to defend its models: `inputs` reads what the stages left, `page` makes one self-contained HTML file of it."""
