"""The crash test: `backhaul chaos` kills and disturbs everything while events flow, then checks what came of each."""
