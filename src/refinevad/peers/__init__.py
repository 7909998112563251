"""Other published weakly supervised heads on one interface, written from their papers, to compare on equal terms."""
