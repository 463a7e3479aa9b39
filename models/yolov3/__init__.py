"""YOLOv3 and its relatives, out of Darknet's own files."""
