"""Images: convolution of all kinds and its gradients; resizing, padding, channels, patches."""
