"""Who walks there, by gait: from radar points and from camera outlines, comparable with each other."""
