"""What takes minutes: nodes, drivers and object stores of Ray that fail half-way (`make faults`)."""
