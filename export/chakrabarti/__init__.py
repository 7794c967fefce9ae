"""The patch network of Chakrabarti (2016): network and export."""
