"""The grammar of a space: what fields accept, which leaves are undecided, who decides them."""
