"""What the tests are made with: samples, golden answers, the CUDA emulator."""
