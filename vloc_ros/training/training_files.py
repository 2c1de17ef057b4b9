"""What a training leaves in the work directory."""

LOGS, CHECKPOINT = "tensorboard", "checkpoint.pt"
RECOGNITION = "recognition"  # the directory of a recognizer's training
RECOGNITION_LOGS = f"{RECOGNITION}/{LOGS}"
