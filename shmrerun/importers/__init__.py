"""Files of other formats as rows: what ``log_file_from_path`` takes, one format a file. They log as ``log`` and ``send_columns`` do."""
