"""Numbers that stand where an image has no label."""

UNKNOWN = -1  # the label was not bought, nobody has given it yet, or a net can't tell it
UNSURE = -2  # the person who was asked could not tell it
OF_NO_CLASS = -3  # the oracle says that the image is of none of the classes (pool=open_set)
NAMELESS = ("(no name yet)", "(no second name yet)")  # a net needs two outputs, even if fewer classes have names
