FLASK_APP=api.cli
