"""One pinned process, one ONNX voice, many sentences. Importing this package loads no onnxruntime."""
