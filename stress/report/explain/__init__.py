"""What a race is: its story, its pattern, its steps, and what it is compared with. In words."""
