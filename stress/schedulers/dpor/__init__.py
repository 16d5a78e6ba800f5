"""One schedule of each equivalence class: optimal dynamic partial order reduction."""
