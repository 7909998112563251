"""How good a run is: temporal truth, the field's figures, their intervals over videos, and the controls beside them."""
