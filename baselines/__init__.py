"""The compared methods, one module each, every one with the same `build`.

In goes what a configuration entry says of a method; out comes its network. A module is imported
only when its method is built, because timm and segmentation_models_pytorch take seconds to import;
nothing is imported here for that reason. Open the file that is called as the method, such as
`unetpp.py`, first.
"""
