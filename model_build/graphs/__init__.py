"""ONNX graphs: exported or built directly, and quantized."""
