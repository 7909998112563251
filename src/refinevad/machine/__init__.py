"""What the machine gives: cores, devices, threads that read ahead."""
