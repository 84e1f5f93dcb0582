"""Where samples come from, without any layer.

`source.py` is the protocol of all sources, and each of the files lmdb.py, leveldb.py, datum.py,
annotated.py, hdf5.py, csv_table.py, image_list.py, image_folder.py, image_pairs.py, window.py and
arrays.py has one. On the way from a file to a blob, picture_file.py lets pictures in, image.py
decodes them, transform.py (with geometry.py and color.py) makes values of pixels, boxes.py moves
boxes along, and prefetch.py reads ahead. dataset.py makes databases of pictures, annotations/ those
of pictures with boxes, made/ those of data sets to start with, check.py finds damage.
"""
