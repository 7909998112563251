"""Live cameras and the service: configuration, storage, and where events go."""
