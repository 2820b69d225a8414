"""Names under which results are used: models, their aliases, and the history of what each alias stood for."""
