"""The user guide, and the programs that write its references and build its pages."""
