"""How large a thing in a file of strangers may be: whatever lies beyond is refused by its name.

Each bound is far above what published data hold, and low enough that no file takes more memory or
time than an honest one of its size.
"""

# images
MOST_PIXELS = 178_956_970  # where PIL takes an image for a decompression bomb
LONGEST_SIDE = 65_535  # px
HIGHEST_LABEL = 65_535  # that a 16-bit file holds

# objects in an image
FARTHEST = 1e5  # px; what lies beyond is no place in an image
FARTHEST_DETECTION = 1e6  # px; networks give boxes beyond the image
MOST_POLYGONS = 10_000  # of one object
SHORTEST_OUTLINE = 100_000  # px of outline that any image may have
LONGEST_RUN = 1 << 32  # pixels; keeps sums of run lengths within 64 bits

# lists
MOST_CLASSES = 4096  # the table of confusions is the square of it
MOST_CATEGORIES = 20_000  # tables of scores have a row for each
MOST_SHARDS = 100_000  # that a pattern may stand for
MOST_MEMBERS = 1_000_000  # files in an archive
MOST_IMAGES = 100_000_000  # that an index may promise of one shard
LONGEST_NAME = 255  # bytes of a file or folder name

# files, bytes
MB, GB = 1 << 20, 1 << 30
LARGEST_IMAGE = GB  # encoded
LARGEST_LABEL = 64 * MB  # an encoded label map or mask
LARGEST_ANNOTATIONS = 8 * GB  # one file for a whole split
LARGEST_ANNOTATION = 4 * MB  # one file an image, a pair or a sample
LARGEST_LIST = 256 * MB  # names, a line each
LARGEST_DOCUMENT = 64 * MB  # JSON, TOML, YAML, CSV or a pickle that describes other files
LARGEST_RECORD = 32 * MB
LARGEST_ITEMS = 2 * GB  # all arrays of a file, unpacked

LONGEST_MESSAGE = 300  # characters of a parser's own words that an error repeats
