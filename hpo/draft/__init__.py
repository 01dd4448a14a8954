"""From data alone to a study file: what is recognised, described and proposed."""
