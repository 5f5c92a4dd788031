"""Direct execution: hot loops on the host's processor, which the guest must not notice."""
