"""Makes the voices: teacher → data → nets → ONNX → report. Never imported by the server; needs the extra `[train]`."""
