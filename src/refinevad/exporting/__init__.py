"""A trained run in the forms that other programs run: ONNX, OpenVINO, TorchScript, with the constants around it."""
