"""Users of nets: from pictures in files to answers, and to pictures of what a net looks at."""
