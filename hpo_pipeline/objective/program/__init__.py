"""What `objective=command` is made of.

template    the words of a command, and the values that take the places of its {placeholders}
reports     what a line that a program prints has to say
running     a program that runs: its output, its end, and that of all that it has started
folder      what is kept in a trial's directory: its checkpoint, what it reported
"""
