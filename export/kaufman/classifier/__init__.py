"""The classifier: to which range of sizes the blur kernel of a photograph belongs (section 3.3)."""
