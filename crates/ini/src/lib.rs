//! INI files in configobj's dialect, read and edited without losing comments.
