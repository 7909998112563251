"""Other published weakly supervised heads on one interface, written from their papers, to compare on equal terms."""

HEAD_NAMES = ("sultani", "rtfm", "ur_dmu", "bn_wvad", "vadclip", "transformer_mil")
