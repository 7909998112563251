"""What is shipped: which packages (pins.py), under which licences and with which known holes (audit.py), listed for
machines (sbom.py), the wheel (dist.py), and the documentation site (site_hooks.py). Run from the repository's root, as
the Makefile does.
"""
