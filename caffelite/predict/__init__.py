"""Users of nets: from pictures in files to answers, and to pictures of what a net looks at.

Begin with runner.py, which goes from files to answers; each kind of answer is a file of answers/.
deploy.py makes a net for answers of a net for training, preprocessing.py finds what pictures go
through before, picture_net.py puts both together for pictures as arrays.
"""
