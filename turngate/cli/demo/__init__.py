"""``turngate demo``: a scripted conversation through the public socket that shows, and checks, who goes when.

The script (`script`) is performed by a shell (`performance`), which writes down everything it sends and receives. The
observations, with the upstream's own record of the same moments, are judged (`expectations`, `wire`) and drawn
(`timeline`); those parts take values and return values.
"""
