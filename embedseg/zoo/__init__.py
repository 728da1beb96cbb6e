"""Models for other programs, and the way back: packages of the BioImage Model Zoo, and ONNX."""
