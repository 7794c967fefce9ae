"""What every restoration ends with: repair, softness, and whether the result is worth having."""
